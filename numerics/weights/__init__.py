"""The weights of a network by what scaling them does: groups, and gradient descent on all of them."""

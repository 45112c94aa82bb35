"""Training runs of networks, kept on disk, and what the flow predicts of them."""

"""Eigenvalues and eigenvectors of the spherical Hessian."""

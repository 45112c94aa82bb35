"""Scale-invariant networks, one file a family: every trained weight is inside one homogeneous vector, and no epsilon.

A SPEC such as ``numerics.networks.two_layer:batch`` names one on the command line.
"""

"""Kernels for arrays on the host: the reference for all others.

```
kernels        histograms of anything that NumPy can read
cpu            many arrays at once by all cores, with the kernels of `numba_kernels` where Numba is installed
numba_kernels  the kernels that Numba compiles
backend        models whose values are copied to the host
```
"""

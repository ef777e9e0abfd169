"""The emulated country: scenario files, the operator, its networks in virtual time and between real kernels."""

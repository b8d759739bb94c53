"""Batch jobs: tens of thousands of images, by any number of processes, resumed after whatever ended them."""

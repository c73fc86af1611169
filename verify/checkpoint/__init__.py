"""A stranger's file, read so that nothing in it runs: zip directory, allow list, unpickling, safetensors, layouts, tensors."""

"""The Personal Connection API: `kind` is what the engine may know of its manifests, `api` is the dialect."""

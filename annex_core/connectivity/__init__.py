"""Is there a way from the cloud to the annex collector? By the standard library alone: a function in AWS can run it."""

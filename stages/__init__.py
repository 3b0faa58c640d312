"""The stages of the pipeline: a file is a DVC stage, a folder is a library or runs outside the DAG."""

//! Examples, one idea each: see the files in this package's `examples` folder.

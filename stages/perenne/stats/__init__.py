"""Pure statistics: arrays in, numbers out. Nothing here reads a file, a clock or a global generator."""

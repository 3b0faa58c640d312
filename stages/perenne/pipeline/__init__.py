"""What the stages do: per stage a pure function, under it a thin `main()`."""

"""What every implementation of an interface promises, one suite each."""

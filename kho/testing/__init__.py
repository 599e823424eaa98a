"""A real registry for the tests of other programs: khod in this process, with faults on demand."""

"""Burns one core until it is killed."""

while True:
    pass

"""What the person who runs the service asks of it: is it healthy, what waits, what do I do now?"""

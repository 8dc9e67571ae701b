"""A simulation that tries pacing policies on published scenarios, with common random numbers."""

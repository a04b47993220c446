"""Many processes at work on the same secrets, and a checker that says whether what they saw is linearizable."""

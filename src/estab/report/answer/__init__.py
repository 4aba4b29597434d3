"""What is said by default: the verdict first, on one screen of 80 columns. Each record's full report is beside it."""

"""Everything that travels to the Hub: flat, importing only siblings. Knows nothing about data sets or training."""

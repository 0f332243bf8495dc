"""Rated collections of pictures as typed `datasets`, one file a data set. Knows nothing about models."""

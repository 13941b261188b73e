"""Reading and writing of events, histograms and records."""

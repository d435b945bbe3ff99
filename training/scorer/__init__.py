"""Training of anomaly scorers from weakly labelled videos: bags of features, objectives, one trainer."""

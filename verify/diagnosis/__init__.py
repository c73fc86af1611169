"""What is wrong and the next step: architecture, components, config, vocabulary, weights, environment; error texts."""

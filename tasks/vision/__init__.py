"""Image classifiers that withstand perturbed images: adversarial training with hand-written and learned attackers."""

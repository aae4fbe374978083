"""Learning to train classifiers: the rule that moves the weights is trained, on adversarial examples too.

The follower's answer is a network's weights. Source: Serban et al. 2020.
"""

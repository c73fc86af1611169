"""The callback of coqui's Trainer: each new best model is exported and verified while the training goes on."""

from verify.training.callback import export_best

__all__ = ["export_best"]

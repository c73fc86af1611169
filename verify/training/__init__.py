"""A callback for coqui's Trainer: export and verify each new best model while the training continues."""

from verify.training.callback import export_best

__all__ = ["export_best"]

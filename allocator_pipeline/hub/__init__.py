"""Sharing model versions through the Hugging Face Hub: a version is a branch, ``main`` the champion."""

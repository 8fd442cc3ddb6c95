"""Objectives: what is trained, measured, drawn and answered, a module for each."""

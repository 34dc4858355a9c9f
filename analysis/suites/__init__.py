"""Suites: questions to architectures, each asked by several tasks with one setting for all."""

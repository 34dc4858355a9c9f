"""Cost of a step of each architecture on this machine: arithmetic, traffic, time and memory, beside `torch.nn.LSTM`."""

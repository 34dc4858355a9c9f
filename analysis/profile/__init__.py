"""What a step of each architecture costs here: arithmetic, traffic, time and memory, beside `torch.nn.LSTM`."""

"""The data list 数据清单: which positive facts exist, what each holds, and where it comes from."""

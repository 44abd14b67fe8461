"""The application list 应用清单: published criteria, and what an answer may disclose."""

"""The web service: a JSON interface and a page. Importing this loads neither PyTorch nor the web libraries."""

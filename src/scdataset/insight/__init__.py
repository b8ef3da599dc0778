"""Look before and while you train: predictions, statistics, descriptions and checks of files, measurements of disks."""

"""What every room needs and none owns. The kit knows no service and no contract."""

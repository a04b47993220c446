"""The CloudFormation templates, shipped beside the code as package data. Nothing here is imported; files are read."""

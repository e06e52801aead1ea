"""What the micro tier serves of BANKING77, and how its promises hold."""

"""The argument as checked steps, on one loss and on the generic one."""

#!/usr/bin/python3
"""poweroff, shutdown and halt where the kernel is shared: end this pid namespace, at once, whatever is asked."""

import ctypes

LINUX_REBOOT_CMD_POWER_OFF = 0x4321FEDC

ctypes.CDLL(None).reboot(LINUX_REBOOT_CMD_POWER_OFF)
raise SystemExit("poweroff: not permitted")

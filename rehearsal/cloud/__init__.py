"""
A cloud on this machine: moto answers AWS's API, and what moto only pretends happens here.

A LocalCloud (cloud.py) is one HTTP endpoint for EC2, S3, SSM and the rest of moto. Above moto stand, from the wire
inwards: wire.py (call log, faults, what a signature allows), api.py (the actions whose behaviour differs), fleets.py
and placement.py (Spot Fleets), ec2.py (instances as moto records) and life.py (machines that boot and end). Beside
them: metadata.py (the instance metadata service), price_list.py (the Price List API) and control.py (the rehearsal's
own knobs).
"""

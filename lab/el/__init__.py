"""An EL-shaped host: Enterprise Linux' names, paths, users, units and package manager around Debian's programs.

A stand-in. rpm and dnf are real, dnf of the version that EL 9 has, and so are the daemons that read configuration at EL's
places. It says nothing of SELinux, firewalld, authselect, crypto-policies and grubby, of signed packages, of the versions and
build options of EL's own programs, nor of what the scripts of its packages do. Whatever passes here was not seen on EL.
"""

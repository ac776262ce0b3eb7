#!/usr/bin/env bash
# Makes the environment that `make demo` and `make test` run in:
#     PYTHON=python3.12 scripts/setup_environment.sh .venv
# or, from the root of a ROS 2 workspace, an environment beside its src/, which colcon passes by:
#     src/step_ros/scripts/setup_environment.sh .venv
# Where a ROS 2 is sourced, that one is used; elsewhere a real one comes from wheels. May be run again at any time, also
# after it was interrupted: what is there is kept, what is missing is added.
set -euo pipefail

# The folder is the caller's, not the package's.
venv=$(realpath --canonicalize-missing "${1:?usage: scripts/setup_environment.sh FOLDER}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
torch=2.13.0

say() { printf 'set-up: %s\n' "$*"; }
fail() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

# The interpreter below any virtual environment that the user has active: ours must not hang on theirs.
command -v "${PYTHON:=python3}" > /dev/null || fail "there is no $PYTHON; choose another with PYTHON=..."
python=$("$PYTHON" -c 'import sys; print(sys._base_executable)')
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if "$python" -c 'import rclpy' 2> /dev/null; then
    ros=machine
elif [[ -n ${ROS_DISTRO:-} && -n ${AMENT_PREFIX_PATH:-} ]]; then
    fail "ROS 2 $ROS_DISTRO is sourced, but $python (Python $minor) cannot import its rclpy. Choose the Python that it was" \
         "built for, mostly PYTHON=/usr/bin/python3, or use a shell where no ROS is sourced."
elif [[ -e constraints/python$minor.txt ]]; then
    ros=wheels
else
    fail "$python is Python $minor, and ROS 2 from wheels needs one of" \
         "$(cd constraints && echo python*.txt | sed 's/\.txt//g'); choose another with PYTHON=..., or source a ROS 2."
fi

# A venv that was made for the other kind of ROS, for another Python, or was cut short, is made anew.
system_site_packages=$([[ $ros = machine ]] && echo true || echo false)
if ! grep -qi "^include-system-site-packages = $system_site_packages" "$venv/pyvenv.cfg" 2> /dev/null ||
    ! "$venv/bin/python" -c "import pip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$minor')" 2> /dev/null; then
    say "making $venv with Python $minor"
    options=(--clear)
    [[ $ros = machine ]] && options+=(--system-site-packages)
    "$python" -m venv "${options[@]}" "$venv" ||
        fail "$python cannot make virtual environments; on Debian and Ubuntu: sudo apt install python$minor-venv"
fi
touch "$venv/COLCON_IGNORE"
# For what the set-up itself starts: cmake finds this environment's tools first.
PATH=$(cd "$venv/bin" && pwd):$PATH
pip() { "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "$@"; }

package='.[development]'
if [[ $ros = machine ]]; then
    say "ROS 2 ${ROS_DISTRO:-} of this machine; installing what it does not bring"
    # Its messages are compiled against its numpy, and a newer major version breaks them.
    constraints=$venv/constraints.txt
    numpy=$("$python" -c 'import numpy; print(numpy.__version__)')
    printf '%s\n' "numpy==$numpy" "torch==$torch" > "$constraints"
    # The last OpenCV for numpy 1; pip would try each later one, 60 MB a time.
    [[ $numpy = 1.* ]] && echo 'opencv-python-headless<4.12' >> "$constraints"
    pip --constraint "$constraints" --editable "$package"
    "$venv/bin/python" -c 'import vision_msgs.msg' 2> /dev/null ||
        fail "this ROS 2 has no vision_msgs: sudo apt install ros-$ROS_DISTRO-vision-msgs"
else
    say "no ROS is sourced: installing ROS 2 Jazzy from wheels, with everything else (about 400 MB without CUDA)"
    pip --constraint "constraints/python$minor.txt" --editable "$package" --requirement requirements/ros_wheels.txt
    command -v cmake > /dev/null || pip cmake
    say "generating vision_msgs and bond"
    "$venv/bin/python" scripts/build_interfaces.py
fi
say "done: $venv"

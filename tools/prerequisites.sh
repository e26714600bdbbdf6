#!/bin/sh
# Say in one sentence what this machine lacks, and the command that installs it, before anything else is tried.
# Prints the Python to build the virtual environment with. Exit 2: something is missing.
#
# Honours PYTHON (else python3, python3.13, 3.12, 3.11 on the PATH) and, as Spark does, JAVA_HOME (else java on the PATH).

lack() {
    echo "prerequisites: $1" >&2
    exit 2
}

command -v make >/dev/null 2>&1 || lack "found no make, wanted GNU make; \
install it with: sudo apt-get install make (Debian, Ubuntu) or: xcode-select --install (macOS)."

# --- Python: 3.11 or newer, able to make virtual environments

python=
found="no Python${PYTHON:+ at PYTHON=$PYTHON}"
packages="python3 python3-venv"
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    version=$("$candidate" -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue
    case $version in
        3.1[1-9]* | 3.[2-9][0-9]*) python=$candidate && break ;;
    esac
    found="Python $version as $candidate"
    packages="python3.11 python3.11-venv" # the distribution's python3 is the one that is too old
done
[ -n "$python" ] || lack "found $found, wanted Python 3.11 or newer; \
install it with: sudo apt-get install $packages (Debian, Ubuntu) \
or: brew install python@3.13 (macOS), or name one with: make PYTHON=/path/to/python3."

# Debian keeps ensurepip, and with it a working venv, in a package of its own.
"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || lack "found $python without the venv module's ensurepip, \
wanted a Python that makes virtual environments; install it with: sudo apt-get install python3-venv (Debian, Ubuntu) \
or: brew install python@3.13 (macOS)."

# --- Java: 17, which the tests run on, or 21; both run every Spark that is in the table of versions

install_java="install one with: sudo apt-get install openjdk-17-jre-headless (Debian, Ubuntu; openjdk-21-jre-headless \
where there is no 17) or: brew install openjdk@17 && export JAVA_HOME=\"\$(brew --prefix openjdk@17)\" (macOS)."

if [ -n "$JAVA_HOME" ]; then
    java=$JAVA_HOME/bin/java
else
    java=java
fi
# macOS has a java that is no Java: it only tells where to get one, and fails.
banner=$("$java" -version 2>&1) || lack "found no Java${JAVA_HOME:+ at JAVA_HOME=$JAVA_HOME}, \
wanted Java 17 or 21; $install_java"

# The first line with a quoted number, since JAVA_TOOL_OPTIONS is announced above it: openjdk version "17.0.15" 2025-04-15
version=$(printf '%s\n' "$banner" | sed -n 's/.*version "\([^"]*\)".*/\1/p' | head -n 1)
case $version in
    17 | 17.* | 21 | 21.*) ;;
    *) lack "found Java ${version:-of a version it does not tell} at $(command -v "$java"), \
wanted Java 17 or 21; $install_java" ;;
esac

echo "$python"

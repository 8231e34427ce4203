# What cloud-init does on an instance: gets the user data by IMDSv2 and runs it as root, once.
# Usage: sh instance.sh METADATA_URL. Goes on for ever afterwards: only a power-off ends an instance.
set -eu
metadata=$1
user_data=/var/lib/cloud/user-data

until token=$(curl -fsS -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$metadata/latest/api/token"); do
    sleep 1
done
mkdir -p "${user_data%/*}"
# Only a 404 says that the launch gave none; whatever else comes, or doesn't, is asked again.
while :; do
    status=$(curl -sS -m 5 -H "X-aws-ec2-metadata-token: $token" -o "$user_data" -w '%{http_code}' \
        "$metadata/latest/user-data") || status=000
    case $status in 200 | 404) break ;; esac
    sleep 1
done
if [ "$status" = 200 ]; then
    chmod 700 "$user_data"
    "$user_data" || echo "user data ended with status $?" >&2
else
    echo 'no user data' >&2
fi
exec sleep infinity

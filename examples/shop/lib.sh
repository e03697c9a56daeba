# Asks the database: `ask GET key`.
ask() {
  local answer
  printf '%s\n' "$*" >&3
  IFS= read -r answer <&3
  printf '%s\n' "$answer"
}

connect() {
  exec 3<>"/dev/tcp/127.0.0.1/$DB_PORT"
}

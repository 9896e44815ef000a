# Two stages: the first builds dist/tidemark.mjs, the second holds Node and that one file.
#
#   docker build -t tidemark .
#   docker run --rm tidemark --help
#
# To pin the base by digest, or to take it from another place:
#   docker build --build-arg NODE_BUILD_IMAGE=… --build-arg NODE_IMAGE=… .
ARG NODE_BUILD_IMAGE=node:20-bookworm
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${NODE_BUILD_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY tools/build.mjs tools/
COPY src src
# The second command fails the build if the file does not run.
RUN npm run build && node dist/tidemark.mjs --version

FROM ${NODE_IMAGE}
# Node has a list of authorities of its own; this is Debian's, for `tls.ca` and for tools that look here.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY LICENSE /opt/tidemark/LICENSE
COPY --from=build /build/dist/tidemark.mjs /opt/tidemark/tidemark.mjs

# The only folder that Tidemark may write to: relative paths (tidemark-state, file targets) end up here.
# With a commit log in Kafka nothing is written, so the root file system can be read-only.
RUN install -d -o 10001 -g 10001 -m 0750 /var/lib/tidemark
WORKDIR /var/lib/tidemark
ENV NODE_ENV=production
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001

# Asks the process itself, with its own Node. Needs `http:` in the configuration, with its default port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/live').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# SIGTERM drains. Give it longer than shutdown_grace_ms before it is killed: docker stop --time 20.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/opt/tidemark/tidemark.mjs"]
CMD ["--help"]

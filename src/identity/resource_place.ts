/** Where it stands among the resources: the part of `metadata` that someone chose. */
export interface ResourceMetadata {
  namespace: string
  name: string
  labels: Record<string, string>
  annotations: Record<string, string>
  generation: number
}

export const renderMetadata = (
  row: Pick<ResourceMetadata, 'namespace' | 'labels' | 'annotations'> & { resource_name: string; generation: string },
): ResourceMetadata => ({
  namespace: row.namespace,
  name: row.resource_name,
  labels: row.labels,
  annotations: row.annotations,
  generation: Number(row.generation),
})

export type Place = Omit<ResourceMetadata, 'generation'>

/** Where a thing stands among the resources when nobody says: in namespace default, under its own name if resources can have it and none has, else under its id. */
export const freePlace = async (
  name_key: string,
  id: string,
  isTaken: (namespace: string, name: string) => Promise<boolean>,
): Promise<Place> => {
  const namespace = 'default'
  const fits = name_key.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name_key)
  const name = fits && !(await isTaken(namespace, name_key)) ? name_key : id
  return { namespace, name, labels: {}, annotations: {} }
}
